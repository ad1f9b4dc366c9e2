FROM alpine
WORKDIR /w
RUN --mount=target=. ls -A > /ls; cat a.txt > /got
