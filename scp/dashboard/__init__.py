"""The web page and the endpoints that ops watch."""
