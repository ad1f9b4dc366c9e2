FROM alpine
WORKDIR /w
COPY . .
