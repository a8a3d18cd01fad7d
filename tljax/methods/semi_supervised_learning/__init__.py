"""Semi-supervised learning: few labels and many examples without one."""
