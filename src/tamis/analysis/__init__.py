"""What is left in the latents of a learned codec; what tasks look at; where bits went."""
