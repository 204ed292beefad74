"""Looking at what belongs to others, and changing nothing: threads, functions, their stacks, objects and who holds them."""
