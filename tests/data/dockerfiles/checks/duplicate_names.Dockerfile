FROM scratch AS a
FROM scratch AS A
FROM scratch AS a
FROM scratch AS b
