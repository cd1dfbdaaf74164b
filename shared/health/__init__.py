"""Whether a deployed stack is as it should be: what is read of it, and what that means for the practice."""
