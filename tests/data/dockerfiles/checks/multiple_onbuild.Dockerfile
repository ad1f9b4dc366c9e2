FROM scratch AS a
ONBUILD CMD ["a"]
FROM a
CMD ["b"]
