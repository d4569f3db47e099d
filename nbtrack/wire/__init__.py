"""Typed requests and answers between the user interface and the store, and the function that answers them."""
