"""The words of the simulated bank: names, regions and what customers write. All invented."""

from __future__ import annotations

from typing import Final

SURNAMES_ZH: Final = list("王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩邓冯曹彭曾肖田董潘袁蔡蒋余")
GIVEN_FIRST_ZH: Final = list("伟芳娜敏静丽强磊洋勇艳杰娟涛明超秀霞平刚桂志文建国玉晓佳思雨子欣宇浩梓一诗若嘉")
GIVEN_SECOND_ZH: Final = ["", *"华英梅红军玲燕波辉鹏飞萍婷龙云峰琳颖洁慧倩阳晨轩怡彤博涵睿妍航淇桐宁安然"]
GIVEN_EN: Final = [
    "Alice", "Amir", "Anna", "Ben", "Carla", "Chloe", "Daniel", "David", "Elena", "Emma", "Ethan", "Fatima", "Frank",
    "Grace", "Hannah", "Henry", "Ivan", "Jack", "James", "Julia", "Kevin", "Laura", "Leo", "Lucy", "Maria", "Mark",
    "Mia", "Noah", "Nora", "Oliver", "Omar", "Paul", "Priya", "Rachel", "Ryan", "Sara", "Simon", "Sophie", "Tom", "Zoe",
]  # fmt: skip
SURNAMES_EN: Final = [
    "Adams", "Ahmed", "Baker", "Bennett", "Brown", "Chan", "Clark", "Costa", "Davies", "Dubois", "Evans", "Fischer",
    "Garcia", "Green", "Hall", "Hughes", "Ito", "Jones", "Kaur", "Kim", "Lam", "Lee", "Lewis", "Martin", "Meyer",
    "Miller", "Moore", "Novak", "Patel", "Reed", "Rossi", "Santos", "Schmidt", "Singh", "Smith", "Tan", "Taylor",
    "Walker", "Wilson", "Wong", "Wright", "Young",
]  # fmt: skip
REGIONS: Final = (
    "Shanghai", "Beijing", "Guangdong", "Jiangsu", "Zhejiang", "Sichuan", "Hubei", "Shandong", "Fujian", "Shaanxi",
    "Hunan", "Hong Kong",
)  # fmt: skip
REGION_SHARES: Final = (0.16, 0.12, 0.15, 0.12, 0.10, 0.08, 0.06, 0.07, 0.05, 0.04, 0.03, 0.02)
COUNTRIES: Final = ("CN", "HK", "SG", "RU", "IR", "GB")
LISTS: Final = ("UN consolidated", "Domestic freeze list", "Politically exposed persons")

TOPICS: Final = ("app_login", "card_payment", "fees", "loan_status", "branch_wait", "transfer", "fraud_worry", "advice")

# what is said per topic: (unhappy, neutral, happy) in English, then in Chinese
SAID: Final = {
    "app_login": (
        ("The app logs me out again and again and nobody helps.", "无法登录手机银行，反复提示错误，没人处理。"),
        ("I asked how to reset my password in the app.", "咨询手机银行密码重置。"),
        ("Face login works well now, thank you.", "刷脸登录很方便，谢谢。"),
    ),
    "card_payment": (
        ("My card was refused at the till without any reason.", "刷卡被拒，没有任何说明，很尴尬。"),
        ("I asked when the card payment will be booked.", "询问刷卡交易何时入账。"),
        ("The new card came in two days, great.", "新卡两天就到了，很满意。"),
    ),
    "fees": (
        ("You charged a fee that nobody told me about. I want it back.", "被收了不知情的手续费，要求退还。"),
        ("I asked which fees apply to a transfer abroad.", "咨询境外汇款手续费。"),
        ("The fee was refunded the same day, thanks.", "手续费当天就退了，感谢。"),
    ),
    "loan_status": (
        ("Three weeks and still no answer to my loan application.", "贷款申请三周了还没有结果，太慢。"),
        ("I asked how far my loan application is.", "查询贷款审批进度。"),
        ("The loan was approved quickly and explained clearly.", "贷款审批很快，讲解清楚。"),
    ),
    "branch_wait": (
        ("I waited ninety minutes in the branch with one counter open.", "网点排队一个半小时，只开一个窗口。"),
        ("I asked for the opening hours of the branch.", "询问网点营业时间。"),
        ("Friendly staff in the branch, no waiting.", "网点服务热情，不用排队。"),
    ),
    "transfer": (
        ("My transfer is missing since Monday, this is not acceptable.", "周一的转账到现在没到账，无法接受。"),
        ("I asked for the limit of transfers in a day.", "咨询每日转账限额。"),
        ("Transfer arrived within seconds, very good.", "转账秒到，很好。"),
    ),
    "fraud_worry": (
        ("There are payments on my account that I did not make!", "账户有不是我本人的交易！请马上处理。"),
        ("I asked whether a message about my account was genuine.", "核实短信是否为银行发送。"),
        ("Suspicious payment was stopped in time, well done.", "可疑交易及时拦截，点赞。"),
    ),
    "advice": (
        ("The adviser sold me a fund that I did not understand.", "理财经理推荐的基金没讲清风险，亏了。"),
        ("I asked about the rates of term deposits.", "咨询定期存款利率。"),
        ("Clear advice about savings, I feel well looked after.", "理财建议专业清楚，很放心。"),
    ),
}
