"""What the pages read: small tables out of one run, each the answer to one question, one module per page.

Rows are selected, joined and counted here, in the engine; nothing is estimated. A table per customer is never
loaded whole: it is filtered or counted where it lies.
"""
