"""This room is the measuring process, which alone imports TensorFlow and Keras."""
