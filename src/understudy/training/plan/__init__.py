"""What is to be trained, how, and in which phases: options, presets and recipes. No torch."""
