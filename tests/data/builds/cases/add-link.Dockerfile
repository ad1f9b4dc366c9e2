FROM alpine
ADD --link a.txt /l/a
