"""The API: campaign tools pull audiences and offers, and send back what became of them."""
