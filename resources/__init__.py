"""What assets are given: the home and its paths, the Spark engine, the lake, the model store and the IO manager."""
