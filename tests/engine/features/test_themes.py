"""Every theme, worked by hand. The instant is 30 June 2026, 12:00; one US dollar is 7 yuan."""

import pytest

from engine.features import (
    activity,
    balances,
    bureau,
    channels,
    families,
    feedback,
    holdings,
    journeys,
    profile,
    service,
)
from tests.engine.features.rows import at, of_theme


def customer(**given):
    return {"customer_id": "c1", "joined_at": at("2020-01-15 00:00"), **given}


def booking(number, when, amount, **given):
    base = amount * 7 if given.get("currency") == "USD" else amount
    return {
        "transaction_id": f"t{number}",
        "customer_id": "c1",
        "booked_at": at(when),
        "amount_minor": amount,
        "amount_base_minor": base,
        "currency": "CNY",
        **given,
    }


def event(number, when, name, **given):
    return {"event_id": f"e{number}", "customer_id": "c1", "occurred_at": at(when), "event_name": name, **given}


class TestProfile:
    def test_ages_and_tenures_are_full_years_and_months(self, engine):
        rows = [
            customer(birth_date=at("1990-06-30").date()),  # birthday is today: 36
            customer(customer_id="c2", birth_date=at("1990-07-01").date(), joined_at=at("2026-05-31 08:00")),
            customer(customer_id="c3", birth_date=at("2000-02-29").date(), joined_at=at("2026-05-30 23:59")),
        ]
        found = of_theme(engine, profile.THEME, customers=rows)
        assert [found[key]["age_years"] for key in ("c1", "c2", "c3")] == [36, 35, 26]
        # from 15 January 2020: 6 years and 5 months; from 31 May no full month has passed, from 30 May one has
        assert [found[key]["tenure_months"] for key in ("c1", "c2", "c3")] == [77, 0, 1]

    def test_a_customer_who_joins_later_has_no_row_and_one_who_leaves_later_is_open(self, engine):
        rows = [
            customer(joined_at=at("2026-06-30 12:00:00"), closed_at=at("2026-07-01")),
            customer(customer_id="c2", joined_at=at("2026-06-30 12:00:01")),
            customer(customer_id="c3", closed_at=at("2026-06-30 12:00:00")),
        ]
        found = of_theme(engine, profile.THEME, customers=rows)
        assert {key: row["is_open"] for key, row in found.items()} == {"c1": True, "c3": False}

    def test_an_overdue_identity_check_counts_below_zero_and_a_missing_one_is_unknown(self, engine):
        rows = [customer(kyc_expires_on=at("2026-06-27").date()), customer(customer_id="c2")]
        found = of_theme(engine, profile.THEME, customers=rows)
        assert [found["c1"]["kyc_days_left"], found["c2"]["kyc_days_left"]] == [-3, None]


class TestHoldings:
    def held(self, number, product, opened, closed=None, **given):
        return {
            "holding_id": f"h{number}",
            "customer_id": "c1",
            "product_id": product,
            "opened_at": at(opened),
            "closed_at": at(closed) if closed else None,
            "currency": "CNY",
            **given,
        }

    def test_what_is_open_what_came_and_what_went(self, engine):
        rows = [
            self.held(1, "card", "2026-06-01", limit_minor=100_00),
            self.held(2, "card", "2025-09-01", limit_minor=50_00, currency="USD"),  # 5 000 x 7 = 35 000
            self.held(3, "loan", "2024-01-01", "2025-12-31", limit_minor=999_00),  # closed within the year
            self.held(4, "fund", "2024-01-01", "2024-12-31"),  # closed long ago
            self.held(5, "fund", "2024-01-01", "2026-07-15"),  # closes later: still open
            self.held(6, "fund", "2026-07-01"),  # opens later: not there
        ]
        found = of_theme(engine, holdings.THEME, holdings=rows)["c1"]
        assert found["holdings_open"] == 3  # 1, 2, 5
        assert found["products_held"] == 2  # card, fund
        assert (found["holdings_opened_90d"], found["holdings_opened_365d"]) == (1, 2)  # 1; 1 and 2
        assert found["holdings_closed_365d"] == 1  # 3
        assert found["months_since_last_opening"] == 0  # 1 June to 30 June
        assert found["credit_limit_minor"] == 100_00 + 350_00

    def test_families_are_counted_by_what_is_open(self, engine):
        products = [
            {"product_id": "gold", "family": "card", "is_credit": True},
            {"product_id": "debit", "family": "card", "is_credit": False},
            {"product_id": "home", "family": "mortgage", "is_credit": True},
        ]
        rows = [
            self.held(1, "gold", "2025-01-01"),
            self.held(2, "debit", "2025-01-01"),
            self.held(3, "home", "2020-01-01", "2026-01-01"),
        ]
        found = of_theme(engine, families.THEME, holdings=rows, products=products)["c1"]
        assert (found["held_card"], found["has_card"], found["credit_held"]) == (2, True, 1)
        assert (found["held_mortgage"], found["has_mortgage"]) == (0, False)


class TestActivity:
    def test_windows_take_the_instant_in_and_leave_their_far_end_out(self, engine):
        rows = [
            booking(1, "2026-06-30 12:00:00", 100),  # at the instant
            booking(2, "2026-05-31 12:00:00", 20),  # exactly 30 days back: not within 30
            booking(3, "2026-05-31 12:00:01", 3),
            booking(4, "2026-06-30 12:00:01", 7777),  # later
            booking(5, "2025-06-30 12:00:01", -1),
        ]
        found = of_theme(engine, activity.THEME, transactions=rows)["c1"]
        assert (found["transactions_30d"], found["money_in_30d_minor"]) == (2, 103)
        assert (found["transactions_90d"], found["money_in_90d_minor"]) == (3, 123)
        assert (found["transactions_365d"], found["money_out_365d_minor"]) == (4, 1)
        assert found["days_since_last_transaction"] == 0

    def test_spending_goes_to_its_group_and_a_refund_is_not_spending(self, engine):
        rows = [
            booking(1, "2026-06-01", -500, category="rent"),
            booking(2, "2026-06-02", -30, category="utilities"),
            booking(3, "2026-06-03", 30, category="utilities"),  # money in
            booking(4, "2025-12-03", -11, category="utilities"),  # in the year, not in the quarter
            booking(5, "2026-06-04", -4, category="fees"),
            booking(6, "2026-06-04", -9),  # nobody knows what for
        ]
        found = of_theme(engine, activity.THEME, transactions=rows)["c1"]
        assert found["spend_housing_90d_minor"] == 500 + 30
        assert found["spend_housing_365d_minor"] == 500 + 30 + 11
        assert found["fees_365d_minor"] == 4
        assert found["money_out_90d_minor"] == 500 + 30 + 4 + 9
        assert found["categories_90d"] == 3  # rent, utilities, fees
        assert found["largest_debit_90d_minor"] == 500

    def test_salary_is_counted_by_thirds_of_the_quarter(self, engine):
        rows = [
            booking(1, "2026-06-25", 1000, category="salary"),
            booking(2, "2026-06-10", 1000, category="salary"),  # the same 30 days: one third
            booking(3, "2026-04-25", 900, category="salary"),
            booking(4, "2026-05-15", -5, category="salary"),  # a correction is no salary
        ]
        found = of_theme(engine, activity.THEME, transactions=rows)["c1"]
        assert (found["salary_90d_minor"], found["salary_months_90d"]) == (2900, 2)

    def test_foreign_money_counts_at_its_worth_in_the_base_currency(self, engine):
        rows = [booking(1, "2026-06-25", -100, currency="USD"), booking(2, "2026-06-25", 300)]
        found = of_theme(engine, activity.THEME, transactions=rows)["c1"]
        assert found["money_out_30d_minor"] == 700
        assert found["fx_share_90d"] == pytest.approx(700 / (700 + 300))

    def test_without_a_booking_in_the_quarter_shares_and_maxima_are_unknown(self, engine):
        found = of_theme(engine, activity.THEME, transactions=[booking(1, "2024-06-30", -100)])["c1"]
        assert found["days_since_last_transaction"] == 730  # 2 years, no 29 February in them
        assert (found["fx_share_90d"], found["largest_debit_90d_minor"]) == (None, None)


class TestBalances:
    def told(self, number, when, balance, holding="h1", **given):
        return booking(number, when, -1, balance_after_minor=balance, holding_id=holding, **given)

    def test_balances_of_several_accounts_and_currencies_add_up(self, engine):
        rows = [
            self.told(1, "2026-03-01", 5_000),
            self.told(2, "2026-06-20", -200),
            self.told(3, "2026-02-01", 100, holding="h2", currency="USD"),  # 700
            self.told(4, "2026-05-20", 300, holding="h2", currency="USD"),  # 2 100
            booking(5, "2026-06-29", -1, holding_id="h3"),  # a card tells no balance
        ]
        found = of_theme(engine, balances.THEME, transactions=rows)["c1"]
        assert found["balance_minor"] == -200 + 2_100
        assert found["balance_30d_ago_minor"] == 5_000 + 2_100
        assert found["balance_90d_ago_minor"] == 5_000 + 700
        assert found["balance_change_90d_minor"] == 1_900 - 5_700
        assert found["balance_min_90d_minor"] == -200
        assert found["below_zero_share_90d"] == pytest.approx(1 / 2)  # of bookings 2 and 4

    def test_of_bookings_at_one_instant_the_largest_id_tells_the_balance(self, engine):
        rows = [self.told(number, "2026-06-20", number * 10) for number in (2, 3, 1)]
        assert of_theme(engine, balances.THEME, transactions=rows)["c1"]["balance_minor"] == 30

    def test_a_balance_before_the_first_booking_is_unknown(self, engine):
        found = of_theme(engine, balances.THEME, transactions=[self.told(1, "2026-06-20", 10)])["c1"]
        assert (found["balance_90d_ago_minor"], found["balance_change_90d_minor"]) == (None, None)


class TestChannelsAndJourneys:
    def test_channels_sessions_and_logins(self, engine):
        rows = [
            event(1, "2026-06-29 08:00", "login", channel="app", session_id="s1"),
            event(2, "2026-06-29 08:01", "page_view", channel="app", session_id="s1"),
            event(3, "2026-05-01", "login", channel="web", session_id="s2"),
            event(4, "2026-06-01", "branch_visit", channel="branch"),
            event(5, "2026-06-01", "push_opened"),
            {**event(6, "2026-06-01", "page_view", channel="web"), "customer_id": None},
        ]
        found = of_theme(engine, channels.THEME, events=rows)
        assert list(found) == ["c1"]
        one = found["c1"]
        assert (one["events_90d"], one["events_app_90d"], one["events_web_90d"], one["events_branch_90d"]) == (
            5,
            2,
            1,
            1,
        )
        assert one["digital_share_90d"] == pytest.approx(3 / 5)
        assert (one["sessions_30d"], one["sessions_90d"], one["logins_30d"]) == (1, 2, 1)
        assert one["days_since_last_login"] == 1

    def test_steps_of_journeys_are_counted_by_window(self, engine):
        rows = [
            event(1, "2026-06-29", "product_viewed", product_id="gold"),
            event(2, "2026-06-28", "product_viewed", product_id="gold"),
            event(3, "2026-05-01", "product_viewed", product_id="loan"),
            event(4, "2026-05-02", "application_started", product_id="loan"),
            event(5, "2026-05-02", "login"),
        ]
        found = of_theme(engine, journeys.THEME, events=rows)["c1"]
        assert (found["product_views_30d"], found["product_views_90d"], found["products_viewed_90d"]) == (2, 3, 2)
        assert (found["applications_started_30d"], found["applications_started_90d"]) == (0, 1)
        assert (found["calculators_used_90d"], found["days_since_last_product_view"]) == (0, 1)


class TestService:
    def test_complaints_calls_and_satisfaction(self, engine):
        def said(number, kind, when, **given):
            return {
                "interaction_id": f"i{number}",
                "customer_id": "c1",
                "kind": kind,
                "occurred_at": at(when),
                **given,
            }

        rows = [
            said(1, "complaint", "2026-06-20", resolved_at=at("2026-07-02")),  # settled later: still open
            said(2, "complaint", "2025-12-20", resolved_at=at("2026-01-02"), satisfaction_score=2),
            said(3, "survey", "2026-06-01", satisfaction_score=5),
            said(4, "call", "2026-06-02"),
            said(5, "survey", "2025-01-01", satisfaction_score=1),  # too long ago
        ]
        found = of_theme(engine, service.THEME, interactions=rows)["c1"]
        assert (found["complaints_90d"], found["complaints_365d"], found["complaints_open"]) == (1, 2, 1)
        assert (found["days_since_last_complaint"], found["calls_90d"]) == (10, 1)
        assert found["satisfaction_mean_365d"] == pytest.approx((2 + 5) / 2)

    def test_without_scores_the_mean_is_unknown(self, engine):
        rows = [{"interaction_id": "i1", "customer_id": "c1", "kind": "call", "occurred_at": at("2026-06-20")}]
        assert of_theme(engine, service.THEME, interactions=rows)["c1"]["satisfaction_mean_365d"] is None


class TestBureau:
    def test_the_newest_report_counts_as_a_whole(self, engine):
        rows = [
            {"customer_id": "c1", "reported_at": at("2026-05-31"), "utilisation_rate": 0.4, "credit_lines": 2},
            {"customer_id": "c1", "reported_at": at("2026-06-28"), "utilisation_rate": None, "credit_lines": 3},
            {"customer_id": "c1", "reported_at": at("2026-07-31"), "utilisation_rate": 0.9, "credit_lines": 9},
        ]
        found = of_theme(engine, bureau.THEME, bureau=rows)["c1"]
        assert (found["bureau_credit_lines"], found["bureau_age_days"]) == (3, 2)
        assert found["bureau_utilisation_rate"] is None  # not 0.4 of an older report


class TestFeedback:
    def answer(self, number, what, when, campaign="k1", channel="email"):
        return {
            "feedback_id": f"f{number}",
            "campaign_id": campaign,
            "customer_id": "c1",
            "product_id": "gold",
            "channel": channel,
            "event": what,
            "occurred_at": at(when),
        }

    def test_a_click_is_set_against_its_own_sending(self, engine):
        rows = [
            self.answer(1, "sent", "2026-06-01"),
            self.answer(2, "clicked", "2026-06-02"),
            self.answer(3, "clicked", "2026-06-03"),  # a second click on the same offer
            self.answer(4, "sent", "2026-06-10", campaign="k2"),
            self.answer(5, "sent", "2026-03-01", campaign="k0"),  # sent before the quarter,
            self.answer(6, "clicked", "2026-05-01", campaign="k0"),  # clicked in it
            self.answer(7, "unsubscribed", "2025-08-01", campaign="k0"),
        ]
        found = of_theme(engine, feedback.THEME, offers_feedback=rows)["c1"]
        assert (found["offers_sent_90d"], found["offers_clicked_90d"], found["unsubscribes_365d"]) == (2, 3, 1)
        assert found["offer_click_rate_90d"] == pytest.approx(1 / 2)  # k1 of k1 and k2

    def test_without_a_sending_the_click_rate_is_unknown(self, engine):
        found = of_theme(engine, feedback.THEME, offers_feedback=[self.answer(1, "clicked", "2026-06-02")])["c1"]
        assert (found["offers_sent_90d"], found["offer_click_rate_90d"]) == (0, None)
