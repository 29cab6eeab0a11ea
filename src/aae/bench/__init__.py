"""How fast training is here, compared with other programs and with what the machine could do."""
