"""The rules of the product. Standard library only; nothing here reads a clock or knows AWS."""
