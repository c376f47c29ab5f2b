"""What is known without training."""
