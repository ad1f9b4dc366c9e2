FROM alpine
CMD ['echo', 'single']
