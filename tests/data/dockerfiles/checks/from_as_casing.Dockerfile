FROM scratch as a
FROM scratch AS b
FROM scratch As c
