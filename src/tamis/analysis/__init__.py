"""What is left in the latents of a learned codec: correlation, information, statistics."""
