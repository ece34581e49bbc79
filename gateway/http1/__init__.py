"""An HTTP/1.1 client on httptools and asyncio's protocols. Bytes in, bytes out; knows no provider, no dialect and no policy.

One request is one write of the transport, and one future is waited for until its answer has begun. What is the same for all
requests to an address is worked out once (`request`), connections are kept (`pool`), and parsing happens where the bytes come in
(`connection`), without a task or a queue in between.
"""
