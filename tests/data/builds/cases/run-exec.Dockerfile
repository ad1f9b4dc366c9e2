FROM alpine
RUN ["/bin/sh", "-c", "echo \"$HOME\" > /home.txt"]
