"""Documents that people read and keep: blocks of text and tables, written as one page of HTML or as Markdown."""
