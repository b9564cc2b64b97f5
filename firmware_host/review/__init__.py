"""What a person looks at: the pictures of the map now, the local web page around them."""
