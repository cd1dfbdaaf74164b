"""Everything the functions have in common: rules, tables, mail, pages."""
