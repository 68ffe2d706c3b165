"""What is in the audio: every file measured, what would break training, and what gives systems away."""
