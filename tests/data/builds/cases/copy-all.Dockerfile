FROM alpine
COPY . /all
