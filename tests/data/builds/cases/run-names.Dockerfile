FROM alpine
RUN echo 1 > '/with space' && echo 2 > /größe && echo 3 > '/-dash' && mkdir "$(printf '/new\nline')" && touch "$(printf '/tab\tand\\backslash')" && echo 4 > '/quo"te'
