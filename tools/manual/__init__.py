"""What the manual shows of the program itself: made when the manual is built, never written by hand."""
