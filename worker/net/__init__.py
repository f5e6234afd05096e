"""One HTTP client for every service that is asked: how a request goes out, and what is known when no answer comes."""
