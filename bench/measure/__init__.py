"""The measuring process: the only room that imports TensorFlow and Keras."""
