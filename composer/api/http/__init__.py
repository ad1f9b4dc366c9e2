"""HTTP/1.1 for clients that take the connection over: heads without threads, answers by threads."""
