"""Projects that are elsewhere, or go there: what people are asked before it happens."""
