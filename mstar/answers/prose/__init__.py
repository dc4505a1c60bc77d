"""Reading running text: what a response says where it states no answer in so many words."""
