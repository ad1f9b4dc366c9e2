FROM alpine
COPY ../a.txt /../../x/../y/a.txt
