"""What is read off a text: tokens, embeddings, n-grams, hand features. numpy only."""
