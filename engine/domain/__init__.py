"""The bank's nouns and vocabulary: tables, marts, words, money, reasons, errors. Standard library only."""
