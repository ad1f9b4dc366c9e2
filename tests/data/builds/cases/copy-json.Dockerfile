FROM alpine
COPY ["with space.txt", "a.txt", "/dest dir/"]
