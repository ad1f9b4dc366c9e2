FROM alpine
ADD a.txt /added
ADD dir /d
