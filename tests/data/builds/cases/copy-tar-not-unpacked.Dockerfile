FROM alpine
COPY plain.tar /t/
