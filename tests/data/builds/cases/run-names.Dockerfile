FROM alpine
RUN echo 1 > '/with space' && echo 2 > /größe && echo 3 > '/-dash' && mkdir '/new
line' && touch "/$(printf 'x%.0s' 1 2 3 4 5 6 7 8 9 0 | head -c 10)"
