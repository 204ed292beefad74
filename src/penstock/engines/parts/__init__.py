"""Write several files instead of one (``max_file_size``): cut the data, pass parts from stage to stage, publish them."""
