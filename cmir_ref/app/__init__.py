"""`cmir-ref serve`: a page to search with, by voice, drawing, picture or sentence (extra `app`)."""
