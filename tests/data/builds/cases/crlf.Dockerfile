FROM alpine
RUN echo crlf > /c
