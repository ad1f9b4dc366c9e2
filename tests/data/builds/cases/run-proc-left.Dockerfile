FROM alpine
RUN mkdir -p /proc /sys /dev && ls / > /ls
