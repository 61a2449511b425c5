"""What a customer is still worth, from how often, how recently and for how much he has bought."""
