"""One HTTP client for every service: how a request goes out, and what is known when no answer comes."""
