"""How fast training is here, beside other programs and beside what the machine could do."""
