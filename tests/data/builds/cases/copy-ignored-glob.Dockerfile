FROM alpine
COPY *.secret a.txt /s/
