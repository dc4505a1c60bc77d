"""What answers can be: numbers with units, choices, lists, boxes, spans; and when two of a kind are equal."""
